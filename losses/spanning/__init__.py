"""The machinery of the spanning-path loss: tubes around trees, and the forests in them."""
