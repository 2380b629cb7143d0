package pontoon.peer;

import java.io.IOException;
import java.net.ServerSocket;
import java.util.Map;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;

/**
 * {@code Provider NAME PORT}: serves EchoService, port 0 is a free one. Says `ready PORT`, and ends with its standard input.
 * For each byte there it says how many calls of echoString it has answered, with how many characters.
 * With -Dpeer.single=true it serves that alone; otherwise also version 2.0.0 in group blue, whose export may open the port first.
 */
public final class Provider {
    private Provider() {}

    public static void main(String[] args) throws IOException {
        String name = args[0];
        int port = Integer.parseInt(args[1]);
        if (port == 0) {
            try (ServerSocket free = new ServerSocket(0)) {
                port = free.getLocalPort();
            }
        }
        ApplicationConfig application = new ApplicationConfig(name);
        application.setQosEnable(false);
        ProtocolConfig protocol = new ProtocolConfig("dubbo", port);
        protocol.setHost("127.0.0.1");
        protocol.setPayload(64 * 1024 * 1024);
        protocol.setThreads(Integer.getInteger("peer.threads", 64));
        DubboBootstrap bootstrap = DubboBootstrap.getInstance();
        bootstrap.application(application).registry(new RegistryConfig("N/A")).protocol(protocol);
        EchoServiceImpl service = new EchoServiceImpl(name);
        bootstrap.service(service(service, null, null));
        if (!Boolean.getBoolean("peer.single")) {
            bootstrap.service(service(new EchoServiceImpl(name + " v2"), "2.0.0", "blue"));
        }
        bootstrap.start();
        System.out.println("ready " + port);
        System.out.flush();
        while (System.in.read() >= 0) {
            System.out.printf("counts {\"answers\":%d,\"bytes\":%d}%n", EchoServiceImpl.answers.sum(), EchoServiceImpl.characters.sum());
            System.out.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    private static ServiceConfig<EchoService> service(EchoService implementation, String version, String group) {
        ServiceConfig<EchoService> service = new ServiceConfig<>();
        service.setInterface(EchoService.class);
        service.setRef(implementation);
        service.setVersion(version);
        service.setGroup(group);
        service.setParameters(Map.of("bind.ip", "127.0.0.1"));
        return service;
    }
}
