import type { AdoptSocket, SocketHandler, StreamSocket } from '../../src/sockets/stream-socket.js';

export interface SocketCounts {
  reads: number;
  writes: number;
}

/** Counts what the sockets hand on and hand to the system, at the seam between the program and its sockets. */
export function countingSockets(adopt: AdoptSocket, counts: SocketCounts): AdoptSocket {
  return (socket) => countCalls(adopt(socket), counts);
}

function countCalls(socket: StreamSocket, counts: SocketCounts): StreamSocket {
  const write = socket.write.bind(socket);
  const setHandler = socket.setHandler.bind(socket);
  socket.write = (data, start, end) => {
    counts.writes++;
    write(data, start, end);
  };
  socket.setHandler = (handler) => {
    const onData = handler.onData.bind(handler);
    const counted: SocketHandler = {
      onData(data) {
        counts.reads++;
        onData(data);
      },
      onEnd: () => handler.onEnd(),
      onProgress: () => handler.onProgress(),
      onClose: (error) => handler.onClose(error),
    };
    setHandler(counted);
  };
  return socket;
}
