"""Raw AMI streams of real calls, a folder for each Asterisk version; beside each stream the truth of its calls."""
