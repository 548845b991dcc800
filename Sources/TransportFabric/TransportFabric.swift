// TransportFabric: filled soon
