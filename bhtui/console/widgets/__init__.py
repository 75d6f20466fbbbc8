"""Drawing on Textual's Line API: a canvas, and what is made of it."""
