package pontoon.peer;

import java.io.Serializable;

public class Box<T> implements Serializable {
    private static final long serialVersionUID = 1;
    private T content;

    public T getContent() { return content; }
    public void setContent(T content) { this.content = content; }
}
