"""The page of each learned agent, and all pages by name in `pages.PAGES`."""
