"""What Revor says: shapes, error codes, and the checks of bodies."""
