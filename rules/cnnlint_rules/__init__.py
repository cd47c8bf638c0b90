"""The rules that come with cnnlint: a folder for each family, a file for each rule."""
