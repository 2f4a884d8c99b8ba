"""What may come in, and in what shape it is kept."""
