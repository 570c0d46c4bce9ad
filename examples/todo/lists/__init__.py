"""To-do lists that are the same for everybody who looks at them."""
