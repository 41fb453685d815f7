"""The Compare widget: two image layers seen at once, and what lies between them."""
