// TransportShm: filled soon
