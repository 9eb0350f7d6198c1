"""What waits for the models: jobs, their turns, how long they take, the thread that answers."""
