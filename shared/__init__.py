"""What every service needs and none owns. Nothing here names a product rule or imports a service."""
