"""What reads input from outside, one module each."""
