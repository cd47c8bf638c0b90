"""Networks while their code is edited: `cnnlint --watch`, and the language server that editors start."""
