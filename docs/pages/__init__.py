"""The pages of docs/reference, a file for each or for a few that are alike."""
