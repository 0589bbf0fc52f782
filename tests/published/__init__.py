"""Published and independently measured receptive fields, and the networks they are about."""
