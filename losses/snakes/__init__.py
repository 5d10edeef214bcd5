"""The machinery of the snake loss: its forces, its motion, and the record of its constants."""
