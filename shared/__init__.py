"""What every service needs and none owns. No product rule stands here, no service is imported."""
