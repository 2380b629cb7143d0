package pontoon.peer;

import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONReader;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.dubbo.common.utils.PojoUtils;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;
import org.apache.dubbo.rpc.service.GenericException;
import org.apache.dubbo.rpc.service.GenericService;

/**
 * {@code Consumer PORT}: calls EchoService as Java programs do. One line in is one call, {@code mode TAB method TAB types TAB arguments}, where mode is
 * `true` or `raw.return` (generic calls) or `false` (by the interface), and the arguments are a JSON array, read by fastjson2 for the method's parameter types.
 * One line out, after `> `, is the result in JSON ({@link ResultJson}), or {@code ! class: message}.
 */
public final class Consumer {
    private Consumer() {}

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        ApplicationConfig application = new ApplicationConfig("consumer");
        application.setQosEnable(false);
        DubboBootstrap.getInstance().application(application).registry(new RegistryConfig("N/A")).start();
        String url = "dubbo://127.0.0.1:" + args[0] + "/" + EchoService.class.getName();
        Map<String, GenericService> generic = new HashMap<>();
        for (String mode : new String[] {"true", "raw.return"}) {
            ReferenceConfig<GenericService> reference = reference(url);
            reference.setInterface(EchoService.class.getName());
            reference.setGeneric(mode);
            generic.put(mode, reference.get());
        }
        ReferenceConfig<EchoService> reference = reference(url);
        reference.setInterface(EchoService.class);
        EchoService direct = reference.get();
        out.println("> ready");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] parts = line.split("\t", 4);
            out.println("> " + call(generic.get(parts[0]), direct, parts[1], parts[2].isEmpty() ? new String[0] : parts[2].split(","), parts[3]));
        }
        Runtime.getRuntime().halt(0);
    }

    private static <T> ReferenceConfig<T> reference(String url) {
        ReferenceConfig<T> reference = new ReferenceConfig<>();
        reference.setUrl(url);
        reference.setTimeout(20_000);
        reference.setRetries(0);
        return reference;
    }

    private static String call(GenericService generic, EchoService direct, String name, String[] types, String text) {
        try {
            Method method = method(name, types);
            Object[] values = 
                    JSON.parseArray(text, method.getGenericParameterTypes(), JSONReader.Feature.Base64StringAsByteArray).toArray();
            if (generic == null) return ResultJson.text(method.invoke(direct, values));
            // Maps, as callers of generic services have them.
            return ResultJson.text(generic.$invoke(name, types, Arrays.stream(values).map(Consumer::generic).toArray()));
        } catch (InvocationTargetException e) {
            return "! " + e.getCause().getClass().getName() + ": " + e.getCause().getMessage();
        } catch (GenericException e) {
            return "! " + e.getExceptionClass() + ": " + e.getExceptionMessage();
        } catch (Exception e) {
            return "! " + e.getClass().getName() + ": " + e.getMessage();
        }
    }

    /** Most of java.time can't be a map on this Java, and needn't. */
    private static Object generic(Object value) {
        return value != null && value.getClass().getName().startsWith("java.time.") ? value : PojoUtils.generalize(value);
    }

    private static Method method(String name, String[] types) {
        return Arrays.stream(EchoService.class.getMethods())
                .filter(each -> each.getName().equals(name))
                .filter(each -> Arrays.equals(
                        Arrays.stream(each.getParameterTypes()).map(Class::getCanonicalName).toArray(), types))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(name + Arrays.toString(types)));
    }
}
