"""From an attention map to candidate points with scores."""
