"""The pages: each file is one page, with its values that change, and the forms on it."""
