"""The web around it: Revor's routes, the control routes, and the server."""
