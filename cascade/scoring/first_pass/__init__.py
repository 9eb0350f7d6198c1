"""What answers most rows of a file first, where it is sure: learnt from the method's answers."""
