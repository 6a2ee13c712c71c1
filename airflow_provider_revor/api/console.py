"""Where a person fixes things in the Revor console."""

CONNECT_ACCOUNTS_URL = "https://revor.ai/console/connect"
API_KEYS_URL = "https://revor.ai/my-api-keys"
