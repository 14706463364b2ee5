"""What a cast did to values."""
