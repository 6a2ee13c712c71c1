"""What all tasks and triggers share: how they fail, how they end, what they log, and whom they tell."""
