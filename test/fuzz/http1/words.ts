/** What requests are made of: what is fine, and what is not or at least unusual. Strings are bytes as latin1. */

export const methods = 'GET GET GET POST POST PUT DELETE HEAD OPTIONS PATCH CONNECT TRACE PURGE LINK SOURCE ACL'.split(
  ' ',
);
export const oddMethods = ['M-SEARCH', 'MSEARCH', 'QUERY', 'BREW', 'get', 'PRI', 'GETT', 'DESCRIBE', '', 'G'];

export const targets = [
  '/a/b?c=d',
  '/a#b',
  '/%20%zz',
  '//',
  '/"<>{}|^`\\',
  'http://b.example/x',
  'http://b.example:80/x?y',
  'http://u:p@b.example/',
  'http://[::1]:80/x',
  'http://b.example?x#y',
  'https://b/',
];
export const oddTargets = [
  '*',
  'http://b.example#x',
  'http://b/\xe4',
  'http://',
  'http://@/',
  'http://a@b@c/',
  'http://a]b/',
  'ftp://b/',
  'b.example:443',
  '[::1]:443',
  'b.example',
  '?a',
  'a',
  '/\xe4',
  '/a b',
  '/a\tb',
  '',
];

export const oddVersions = [
  'HTTP/1.2',
  'HTTP/0.9',
  'HTTP/2.0',
  'HTTP/1.10',
  'http/1.1',
  'ICE/1.0',
  'RTSP/1.0',
  'HTTP/1.',
  'HTTP/11',
  '',
];
export const oddLineEnds = ['\n', '\r', '\r\r\n', '\n\r', ' \r\n', '\t\r\n', ''];
export const oddSpaces = ['  ', '\t', '', ' \t', '\x0b', '\r', '\n'];
export const oddHosts = ['', 'Host:\r\n', 'Host: a\r\nHost: b\r\n', 'Host: a b\r\n', 'Host: a, b\r\n'];

export const names = ['x', 'X-Mixed', 'accept', 'user-agent', 'cookie', 'x_y', "a!#$%&'*+-.^_`|~9"];
export const oddNames = ['', ' x', 'x ', 'x\t', 'x(y', 'x\x00', 'x\xe4', ':path', 'x:y', '\tx', 'x\r', '"x"'];
export const values = ['', 'a', 'a b', 'a\tb', '"a, b"', '\xe4\xff', 'a, b, c', '0', '1, 2', 'x'.repeat(40)];
export const oddValues = [
  'a\x00',
  'a\x01b',
  'a\x7f',
  'a\rb',
  'a\nb',
  'a\r\n b',
  'a\r\n\tb',
  '\x0b',
  '\r',
  'x'.repeat(900),
];

export const connectionNames = ['Connection', 'connection', 'Proxy-Connection'];
export const connectionOptions = ['keep-alive', 'Keep-Alive', 'keep-alive, x', 'x', 'TE', ''];
export const lastConnectionOptions = [
  'close',
  'CLOSE',
  'x, close',
  'x ,close',
  'close, x',
  ',close',
  'close,',
  'close ',
  'keep-alive, close',
  'close, keep-alive',
  'Upgrade',
  'upgrade, x',
];
export const oddConnectionOptions = [
  'close\t',
  'x,\tclose',
  'close x',
  'x close',
  'close;x',
  '"close"',
  'closed',
  'clos',
  'keep-alive\t',
  'x,\tkeep-alive',
  '\tkeep-alive',
  'keep-alive x',
  'keep-alive;x',
  'keep-alive,',
  ',keep-alive',
  'keep-aliv',
];

export const lengthNames = ['Content-Length', 'content-length', 'CONTENT-LENGTH'];
export const oddLengthNames = ['Content-Length ', 'Content_Length', 'Content-Lengt', 'Content-Lengthy'];
export const oddLengths = [
  '+3',
  '-3',
  '0x3',
  '3a',
  '3 3',
  '',
  '3, 3',
  '3,4',
  '03',
  '99999999999999999999',
  '18446744073709551615',
  '3\t',
  '\t3',
  ' 3 ',
  '1e1',
  '3.0',
];

export const codingNames = ['Transfer-Encoding', 'transfer-encoding'];
export const oddCodingNames = ['Transfer_Encoding', 'Transfer-Encoding ', 'Transfer-Encodin', 'Transfer-Encodings'];
export const oddCodings = [
  'chunked, chunked',
  'gzip, chunked',
  'chunked, gzip',
  'gzip',
  'identity',
  '',
  'xchunked',
  '"chunked"',
  'chunked;a=b',
  'chunked,',
  ',chunked',
  'chunked\t',
  '\tchunked',
  '\x0bchunked',
  'chunked ',
  'chunke',
  'chunkedd',
];

export const chunkData = ['a', 'abc', '0\r\n\r\n', 'x'.repeat(17), '\r\n', 'GET / HTTP/1.1\r\n\r\n'];
export const oddSizes = ['', 'g', 'ffffffffffffffff', '10000000000000000', `${'0'.repeat(20)}3`];
export const oddLastSizes = ['', '0x0', '-0', '0 ', '0\t'];
export const extensions = [';a', ';a=b', ';a="b;c"', ';a="b\\"c"', ';a="\\\xe4"', ';a=b;c=d', ';a="\t"', ';a=""'];
export const oddExtensions = [
  ';',
  ';=b',
  ';a=',
  ';a="',
  ';a="b',
  ';a="b"c',
  ';a\x00',
  ' ;a',
  '; a',
  ';a ',
  ';a b',
  ';a =b',
  ';a=b"c',
  ';a;',
  ';a="\r"',
  ';a="\\\r"',
  ';a="\x7f"',
  ';a\n',
  ';a\r',
  ';\xe4',
];
export const oddTrailers = ['Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', 'Host: b\r\n'];

/** For changes without regard to the grammar. */
export const changes = [
  ...'\r\n \t:;,0 9aA/"\\=-_',
  '\x00',
  '\x0b',
  '\x0c',
  '\x7f',
  '\x80',
  '\xff',
  '\r\n',
  '\r\n\r\n',
  '\r\n ',
  '0\r\n\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: b\r\n',
  ' HTTP/1.1',
  'GET / HTTP/1.1\r\n',
  'Connection: close\r\n',
];
