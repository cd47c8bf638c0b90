"""What all frontends share: a graph under construction, and the passes that make it canonical."""
