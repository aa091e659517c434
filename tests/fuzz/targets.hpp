#pragma once
#include <cstddef>
#include <cstdint>

// Every fuzz target, <name>_fuzz.cpp: what it promises of any input stands there.
int fuzz_decoder_config(const std::uint8_t* data, std::size_t size);
int fuzz_embedder_config(const std::uint8_t* data, std::size_t size);
int fuzz_gguf(const std::uint8_t* data, std::size_t size);
int fuzz_json(const std::uint8_t* data, std::size_t size);
int fuzz_line_reader(const std::uint8_t* data, std::size_t size);
int fuzz_safetensors(const std::uint8_t* data, std::size_t size);
int fuzz_safetensors_index(const std::uint8_t* data, std::size_t size);
int fuzz_sentence_transformers(const std::uint8_t* data, std::size_t size);
int fuzz_tokenizer_json(const std::uint8_t* data, std::size_t size);
int fuzz_tokenizer_text(const std::uint8_t* data, std::size_t size);
