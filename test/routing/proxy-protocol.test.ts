import { expect } from 'chai';
import { proxyProtocolHeader } from '../../src/routing/proxy-protocol.js';

describe('PROXY protocol header', () => {
  const versionOne: [string, string, string][] = [
    ['1.2.3.4:5', '6.7.8.9:10', 'PROXY TCP4 1.2.3.4 6.7.8.9 5 10\r\n'],
    ['[2001:db8::1]:5', '[::1]:65535', 'PROXY TCP6 2001:db8::1 ::1 5 65535\r\n'],
    ['[::ffff:1.2.3.4]:5', '6.7.8.9:10', 'PROXY TCP4 1.2.3.4 6.7.8.9 5 10\r\n'],
    ['/run/socket', '/run/socket', 'PROXY UNKNOWN\r\n'],
    ['1.2.3.4:5', '[::1]:10', 'PROXY UNKNOWN\r\n'],
    ['1.2.3.4:70000', '1.2.3.4:1', 'PROXY UNKNOWN\r\n'],
    ['host:1', '1.2.3.4:1', 'PROXY UNKNOWN\r\n'],
  ];
  for (const [source, destination, header] of versionOne) {
    it(`version 1: ${source} to ${destination}`, () =>
      expect(String(proxyProtocolHeader('V1', source, destination))).to.equal(header));
  }

  const signature = '0d0a0d0a000d0a515549540a';
  const versionTwo: [string, string, string][] = [
    ['1.2.3.4:5', '6.7.8.9:10', '21 11 000c 01020304 06070809 0005 000a'],
    [
      '[2001:db8::1]:5',
      '[1:2:3:4:5:6:1.2.3.4]:258',
      '21 21 0024 20010db8000000000000000000000001 00010002000300040005000601020304 0005 0102',
    ],
    [
      '[fe80::1%eth0]:5',
      '[::]:1',
      '21 21 0024 fe800000000000000000000000000001 00000000000000000000000000000000 0005 0001',
    ],
    ['/run/socket', '/run/socket', '20 00 0000'],
  ];
  for (const [source, destination, rest] of versionTwo) {
    it(`version 2: ${source} to ${destination}`, () =>
      expect(proxyProtocolHeader('V2', source, destination).toString('hex')).to.equal(
        signature + rest.replaceAll(' ', ''),
      ));
  }
});
