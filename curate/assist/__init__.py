"""What models say of images: embeddings. Knows files and arrays, and no other room."""
