// libfallow: filled soon
