"""The pages of the documentation that come from the code, one module per page."""
