"""The deciders: pure folds from what they hear to what they say."""
