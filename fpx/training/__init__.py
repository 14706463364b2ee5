"""What training does in a format: updates that move weights, optimizers' state."""
