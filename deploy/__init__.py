"""Everything around the product: local stack, images, demo data, generated documents."""
