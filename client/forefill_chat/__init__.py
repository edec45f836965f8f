"""A chat that shows what forefill does while you type: what its faces in the terminal and in the browser share."""
