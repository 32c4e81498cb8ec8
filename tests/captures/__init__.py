"""Raw AMI streams of real calls, one folder for each Asterisk version, and beside each stream the truth of its calls."""
