"""What is known of values that vary, and what it cuts."""
