/** The two ways to read and write connections, which must behave alike. Our own one shows mistakes that are silent elsewhere. */
export const testedSockets = ['checked', 'node'] as const;
