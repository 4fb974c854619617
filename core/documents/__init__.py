"""PDFs become pages of clean text with the place of every word, and passages cut from them."""
