"""Data: what a set holds (manifest), which image when and how (sampling), the pixels (loader)."""
