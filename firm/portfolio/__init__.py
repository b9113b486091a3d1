"""From opinions to positions: sizing, pure."""
