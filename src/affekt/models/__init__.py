"""Opening models: weights, tokenizers, decoder layers, prompts and the residual stream."""
