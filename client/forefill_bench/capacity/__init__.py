"""What a fleet of typists needs: by simulation of one replica, and by hand."""
