"""Fine-tunes a model with LoRA on the packed weights of its GGUF file, and keeps what came of it in the project."""
