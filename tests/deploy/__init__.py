"""What is in deploy/: the image's steps taken, the rest held against schemas, against the settings and against itself."""
