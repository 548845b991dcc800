// FallowControl: filled soon
