"""What training does to numbers: updates that move weights or not, states, watched models."""
