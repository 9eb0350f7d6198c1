"""What decisions tell: how far reviewers agree, and how right the rest of the rows is."""
